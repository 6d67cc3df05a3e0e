"""HTTP: bodies in, events and queries; answers out."""
