// Package sms sends text messages: it counts and cuts them (Encode, Truncate),
// keeps sending what is queued until a gateway has it (Outbox), and reads the
// gateway's word on what became of them (Report). Gateways live below it: spool
// writes to a file, kannel talks to a Kannel.
//
// The controller and, in tests, package alerts import it; it imports inventory.
package sms
