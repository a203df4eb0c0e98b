"""What tests are written with: both stores, the real application behind its real front door, real server processes."""
