"""What the pack's page in the browser asks for and is told: a module for each part of it, and the door."""
