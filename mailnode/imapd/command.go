package imapd

// state is a state of RFC 9051 §3.
type state byte

const (
	anyState state = iota
	unauthenticated
	authenticated
	selected
)

// commands are all there are, with the state they need.
var commands map[string]command

type command struct {
	state state
	uid   bool // there is a UID form
	run   func(*session, *call) error
}

// shy are the commands that use sequence numbers, during which these must not
// change (RFC 9051 §7.5.1); their UID forms do not.
var shy = map[string]bool{"FETCH": true, "STORE": true, "SEARCH": true, "SORT": true, "THREAD": true}

func init() {
	commands = map[string]command{
		"CAPABILITY": {anyState, false, (*session).capability},
		"NOOP":       {anyState, false, (*session).noop},
		"LOGOUT":     {anyState, false, (*session).logout},
		"ID":         {anyState, false, (*session).id},

		"STARTTLS":     {unauthenticated, false, (*session).starttls},
		"LOGIN":        {unauthenticated, false, (*session).login},
		"AUTHENTICATE": {unauthenticated, false, (*session).authenticate},

		"ENABLE":         {authenticated, false, (*session).enable},
		"UNAUTHENTICATE": {authenticated, false, (*session).unauthenticate},
		"COMPRESS":       {authenticated, false, (*session).compress},
		"NAMESPACE":      {authenticated, false, (*session).namespace},
		"SELECT":         {authenticated, false, (*session).selectMailbox},
		"EXAMINE":        {authenticated, false, (*session).selectMailbox},
		"CREATE":         {authenticated, false, (*session).create},
		"DELETE":         {authenticated, false, (*session).delete},
		"RENAME":         {authenticated, false, (*session).rename},
		"SUBSCRIBE":      {authenticated, false, (*session).subscribe},
		"UNSUBSCRIBE":    {authenticated, false, (*session).subscribe},
		"LIST":           {authenticated, false, (*session).list},
		"LSUB":           {authenticated, false, (*session).lsub},
		"STATUS":         {authenticated, false, (*session).status},
		"APPEND":         {authenticated, false, (*session).append},
		"IDLE":           {authenticated, false, (*session).idle},
		"NOTIFY":         {authenticated, false, (*session).notifySet},
		"GETQUOTA":       {authenticated, false, (*session).getQuota},
		"GETQUOTAROOT":   {authenticated, false, (*session).getQuotaRoot},
		"SETQUOTA":       {authenticated, false, (*session).setQuota},
		"GETACL":         {authenticated, false, (*session).getACL},
		"SETACL":         {authenticated, false, (*session).setACL},
		"DELETEACL":      {authenticated, false, (*session).deleteACL},
		"LISTRIGHTS":     {authenticated, false, (*session).listRights},
		"MYRIGHTS":       {authenticated, false, (*session).myRights},
		"GETMETADATA":    {authenticated, false, (*session).getMetadata},
		"SETMETADATA":    {authenticated, false, (*session).setMetadata},

		"CHECK":    {selected, false, (*session).noop},
		"CLOSE":    {selected, false, (*session).closeMailbox},
		"UNSELECT": {selected, false, (*session).unselect},
		"EXPUNGE":  {selected, true, (*session).expunge},
		"SEARCH":   {selected, true, (*session).search},
		"SORT":     {selected, true, (*session).sort},
		"THREAD":   {selected, true, (*session).thread},
		"FETCH":    {selected, true, (*session).fetch},
		"STORE":    {selected, true, (*session).store},
		"COPY":     {selected, true, (*session).copy},
		"MOVE":     {selected, true, (*session).move},
		"REPLACE":  {selected, true, (*session).replace},
	}
}
