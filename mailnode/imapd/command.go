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
	whole bool // the selected mailbox must have been read
}

// shy are the commands that use sequence numbers, during which these must not
// change (RFC 9051 §7.5.1); their UID forms do not.
var shy = map[string]bool{"FETCH": true, "STORE": true, "SEARCH": true, "SORT": true, "THREAD": true}

func init() {
	commands = map[string]command{
		"CAPABILITY": {anyState, false, (*session).capability, false},
		"NOOP":       {anyState, false, (*session).noop, false},
		"LOGOUT":     {anyState, false, (*session).logout, false},
		"ID":         {anyState, false, (*session).id, false},

		"STARTTLS":     {unauthenticated, false, (*session).starttls, false},
		"LOGIN":        {unauthenticated, false, (*session).login, false},
		"AUTHENTICATE": {unauthenticated, false, (*session).authenticate, false},

		"ENABLE":         {authenticated, false, (*session).enable, false},
		"UNAUTHENTICATE": {authenticated, false, (*session).unauthenticate, false},
		"COMPRESS":       {authenticated, false, (*session).compress, false},
		"NAMESPACE":      {authenticated, false, (*session).namespace, false},
		"SELECT":         {authenticated, false, (*session).selectMailbox, false},
		"EXAMINE":        {authenticated, false, (*session).selectMailbox, false},
		"CREATE":         {authenticated, false, (*session).create, false},
		"DELETE":         {authenticated, false, (*session).delete, false},
		"RENAME":         {authenticated, false, (*session).rename, false},
		"SUBSCRIBE":      {authenticated, false, (*session).subscribe, false},
		"UNSUBSCRIBE":    {authenticated, false, (*session).subscribe, false},
		"LIST":           {authenticated, false, (*session).list, false},
		"LSUB":           {authenticated, false, (*session).lsub, false},
		"STATUS":         {authenticated, false, (*session).status, false},
		"APPEND":         {authenticated, false, (*session).append, false},
		"IDLE":           {authenticated, false, (*session).idle, true},
		"NOTIFY":         {authenticated, false, (*session).notifySet, true},
		"GETQUOTA":       {authenticated, false, (*session).getQuota, false},
		"GETQUOTAROOT":   {authenticated, false, (*session).getQuotaRoot, false},
		"SETQUOTA":       {authenticated, false, (*session).setQuota, false},
		"GETACL":         {authenticated, false, (*session).getACL, false},
		"SETACL":         {authenticated, false, (*session).setACL, false},
		"DELETEACL":      {authenticated, false, (*session).deleteACL, false},
		"LISTRIGHTS":     {authenticated, false, (*session).listRights, false},
		"MYRIGHTS":       {authenticated, false, (*session).myRights, false},
		"GETMETADATA":    {authenticated, false, (*session).getMetadata, false},
		"SETMETADATA":    {authenticated, false, (*session).setMetadata, false},

		"CHECK":    {selected, false, (*session).noop, true},
		"CLOSE":    {selected, false, (*session).closeMailbox, false},
		"UNSELECT": {selected, false, (*session).unselect, false},
		"EXPUNGE":  {selected, true, (*session).expunge, true},
		"SEARCH":   {selected, true, (*session).search, false},
		"SORT":     {selected, true, (*session).sort, true},
		"THREAD":   {selected, true, (*session).thread, true},
		"FETCH":    {selected, true, (*session).fetch, false},
		"STORE":    {selected, true, (*session).store, false},
		"COPY":     {selected, true, (*session).copy, false},
		"MOVE":     {selected, true, (*session).move, true},
		"REPLACE":  {selected, true, (*session).replace, true},
	}
}
