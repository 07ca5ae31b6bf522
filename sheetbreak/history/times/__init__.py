"""Times of rows in files: their formats, recognised or named, their order, and the sampling that they show."""
