"""What tests share: real servers on loopback, started and ended by id."""
