"""What a user of BMLang writes with: functions, `compile`, models, layers."""
