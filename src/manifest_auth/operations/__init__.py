"""For those who run the server and those who write against it: health, metrics, description, doctor, demo data."""
