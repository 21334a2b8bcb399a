// Package starter writes the systemd unit that starts the agent, and starts it again
// whenever it ends. main imports it.
//
// What the unit says, and why:
//
//   - KillMode=process: the services are processes of the agent's own unit. Stopping,
//     restarting or losing the agent must not end them; the next agent takes them over
//     (package supervise). So systemctl stop leaves the services running; to stop them
//     as well, stop them first, or run the agent with --stop-services.
//   - Restart=always without a start limit: an agent that dies comes back, however often.
//   - Type=exec: an upgraded agent becomes the new build by exec (package handover), so
//     the main process stays the one that systemd started.
//   - OOMPolicy=continue: a service that the kernel ends for want of memory is the agent's
//     business, not a reason to stop the agent and all services with it.
//   - LimitNOFILE and TasksMax: services inherit the first and are counted under the
//     second; a mail server needs more than systemd's defaults of both.
package starter

import (
	"strings"

	"mailfleet/inventory"
)

// Path is where the unit belongs.
const Path = "/etc/systemd/system/mailfleet-agent.service"

// Name is the unit's name.
const Name = "mailfleet-agent.service"

// Unit is the unit that runs a command, whose first word is the path of a program.
func Unit(command []string) (string, error) {
	if strings.ContainsAny(command[0], `"'\$`) {
		return "", inventory.Fail("systemd does not start a program whose path has quotes, $ or \\ in it, as %s: put it elsewhere", command[0])
	}
	words := make([]string, len(command))
	for i, word := range command {
		quoted, err := quote(word)
		if err != nil {
			return "", err
		}
		words[i] = quoted
	}
	return `[Unit]
Description=Mailfleet agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=` + strings.Join(words, " ") + `
Restart=always
RestartSec=1
KillMode=process
OOMPolicy=continue
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`, nil
}

// quote writes a word of a command as systemd.service(5) and systemd.syntax(7) read it:
// in quotes where it needs them, with no specifier, variable or escape in it.
func quote(word string) (string, error) {
	if strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", inventory.Fail("%q cannot stand in a unit: it has a control character", word)
	}
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(word)
	if word == "" || strings.ContainsAny(word, ` '"\;`) {
		return `"` + word + `"`, nil
	}
	return word, nil
}
