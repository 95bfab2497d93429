"""What time and law bring, one file a job."""
