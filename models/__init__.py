"""What is known and what is learned. Knows nothing of flows, storage or Prefect."""
