"""What clients claim beyond themselves, and whose claim counts. Import its modules one by one."""
