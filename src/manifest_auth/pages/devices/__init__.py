"""Pages with which a person lets a device in: by the code that it shows, or by one that it scans."""
