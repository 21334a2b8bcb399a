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
// A process that needs limits or another user is not started as the command at
// once: it begins as this program (Launch), sets its own limits, becomes the user
// and then the command, in the same process. So there is no moment at which the
// command runs without them, and the mark and the start time stay what they are.
//
// Under systemd the agent's unit needs KillMode=process, or stopping the agent
// would end the services with it: the unit is that of package starter.
//
// # What is wanted
//
// Apply gives the services and which of them should run; Start, Stop and
// Restart change that until the next Apply and wait for the outcome. A changed
// command, environment, directory, user or limit is in force from the service's
// next start, and pending until then; it does not cause one. Everything else
// holds at once.
//
// A service starts when those it starts after are ready, and stops when those
// that started after it have stopped, as far as they are to stop. While it runs
// it is asked how it is (package health).
//
// # Systemd units
//
// A service may be a systemd unit instead: then systemd runs, limits and
// restarts it as its file says, and the agent starts and stops it and tells how
// it is, through Units (package systemd).
//
// # Output while no agent runs
//
// A service writes into a plain file, so that nothing stands between it and the
// disk that could end. The price: the file is cut by the agent, and while none
// runs it grows without bound. The next agent cuts it within a second.
package supervise
