"""What HPE iLO generations add: power meters, rings of records that keep moving."""
