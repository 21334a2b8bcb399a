// Package api is the contract of a mailnode with those who run it: the
// configuration file the agent writes, and the control socket the agent and the
// controller talk to. It holds data and a client, no behaviour of the mailnode
// itself. The mailnode, the agent and the controller import it; it imports the
// standard library only.
package api
