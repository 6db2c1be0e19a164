"""What a configuration will train, before it does: model, memory, data, schedule."""
