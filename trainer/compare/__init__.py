"""Many runs side by side: what differs in their settings, and how they did."""
