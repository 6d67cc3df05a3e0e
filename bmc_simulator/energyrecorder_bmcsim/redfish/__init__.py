"""The Redfish and iLO REST side of a simulated BMC: HTTP(S), sessions, resources with live values."""
