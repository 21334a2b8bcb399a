// Package api is the controller's contract: the wire types of its HTTP API and
// of the link agents keep to it, and the Go client that the command line, the
// agents and scripts use. Times are RFC 3339 in UTC; errors are RFC 9457
// problems.
//
// Every program may import it. It imports inventory and the standard library.
package api
