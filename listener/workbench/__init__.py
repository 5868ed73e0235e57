"""The CAN workbench: any bus with any device on it, its database files, sending, recording."""
