"""BMLang: tensor programs and models for Sophon TPUs."""
