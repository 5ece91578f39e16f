"""What is stored: cells, rows, mutations, timestamps, schema. Pure, no waiting, no chance."""
