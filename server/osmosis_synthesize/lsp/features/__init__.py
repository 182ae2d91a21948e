"""What an editor can ask for, one file a feature. Each is plain functions of the session and the request."""
