"""What tests are written with: both stores, the real application behind its real pipeline, real server processes."""
