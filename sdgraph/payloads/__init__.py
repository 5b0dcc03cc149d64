"""What travels along links: one file per subject, each with its class and its PortType. Importing it is light."""
