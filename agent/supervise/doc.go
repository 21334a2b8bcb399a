// Package supervise keeps a server's services running: the exec driver, which
// starts each as a process in a session of its own, restarts it when it ends,
// and takes hold of it again after the agent itself was restarted or killed.
//
// The agent's steward and app import it.
//
// # The agent may die at any moment
//
// A service does not depend on the agent: its output goes straight to a file,
// nothing is tied to the agent's life, and Close lets go without a signal. What
// the next agent needs is in the directory: per service a record of the boot id,
// the process and its start time (field 22 of /proc/<pid>/stat), which together
// name one process for ever, however pids are reused.
//
// Between the fork and the record of the pid lies a moment. So before the fork
// a record with a random nonce is written, and the process carries in its
// environment
//
//	MAILFLEET_SERVICE=<id of the directory>:<service>:<nonce>
//
// A new agent that finds a record without a pid looks for that mark in /proc;
// it has the directory's lock by then, which a process between its fork and its
// exec would still hold, so there is none that does not carry its mark yet.
// The same mark tells which other processes belong to a service (those that
// left its session), and keeps several agents on one machine apart. Before a
// start all processes of an earlier life are ended, so a service never runs twice.
//
// A process that was started by an earlier agent is not this one's child: its
// end is noticed through a pidfd as any other, but its exit status is the
// business of init and reads "exit status unknown".
//
// Under systemd the agent's unit needs KillMode=process, or stopping the agent
// would end the services with it.
//
// # What is wanted
//
// Apply gives the services and which of them should run; Start, Stop and
// Restart change that until the next Apply and wait for the outcome. A changed
// command, environment or directory is in force from the service's next start;
// it does not cause one.
package supervise
