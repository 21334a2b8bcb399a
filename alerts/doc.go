// Package alerts is what the fleet knows of thresholds: it checks rules and
// contacts, decides on each server which alerts are pending, firing or resolved
// (Watch), names the metrics in both languages and words the texts people get.
// It is pure: no clock, no disk, no network. How texts reach phones is alerts/sms.
//
// # The life of an alert
//
// A rule watches every series of its metric. Each series goes its own way:
//
//   - inactive → pending, as soon as a reading satisfies the condition "value
//     comparison threshold"; the episode gets its ID now. A rule without For
//     fires at once and skips pending.
//   - pending → firing, once the condition has held for the rule's For without
//     a break. Any reading that does not satisfy it ends the episode: hysteresis
//     is for alerts that fire.
//   - firing → resolved, when a reading is on the good side of the clear value.
//     Between threshold and clear value nothing changes.
//   - A series without a reading, or with one that is not a finite number, stays
//     as it is: missing data fires nothing and counts nothing towards For. After
//     GoneAfter without it the series is taken to be gone (a mount that was
//     removed) and its alert resolves. An evaluation without any reading at all
//     means that sampling failed and changes nothing.
//   - A rule that is deleted, disabled or given another metric resolves its
//     alerts. One whose comparison, threshold or clear value changed is judged
//     afresh: its alerts go on under the same ID where the new condition holds
//     and resolve where it does not.
//
// Whether a server is up (ServerUp) is the one metric that no server judges of
// itself: the controller begins and ends its alerts, by the same conditions.
//
// Metrics that only grow, such as the bytes an interface has received, are
// judged by their increase per second (Metric.Counter).
//
// Each step is a Transition. An alert that was pending and goes away is reported
// as resolved although it never fired; whoever keeps alerts drops it then.
//
// Every program may import alerts; it imports inventory and the standard library.
package alerts
