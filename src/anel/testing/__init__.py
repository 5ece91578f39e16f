"""What users import in their own tests: cluster() and the pytest plugin."""
