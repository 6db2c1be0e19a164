"""What happens when: callbacks that know the Trainer. Any Keras callback works beside them."""
