// Package storectl is what an operator does with a store: verify, repair, compact,
// stat, export, import, backup, restore. Where the mailnode runs, reading works on a
// checkpoint that the mailnode makes of the store over its control socket, and changes
// are made by the mailnode; where it does not, the store is opened directly. main and
// app import it.
package storectl
