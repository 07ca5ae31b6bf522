"""Monitor: scores a stream of sensor rows and warns before the sheet breaks; never imports tensorflow."""
