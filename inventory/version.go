package inventory

// Version is the build's version; the Makefile sets it.
var Version = "dev"
