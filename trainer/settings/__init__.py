"""Settings of a training, and the table of model families. Loads no Keras: --help must not wait seconds for it."""
