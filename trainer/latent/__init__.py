"""Latent space: encoding, imputation and generation by a trained model."""
