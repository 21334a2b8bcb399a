// Package imapd lets users read and keep their mail by IMAP. It is a server engine of
// our own over the store, with the grammar in wire. Only app imports it.
//
// A connection has one goroutine and, while nothing happens, no buffer. Commands are
// carried out one after the other, in the order they come; answers to commands that
// came together are sent together. A session sees the selected mailbox as an immutable
// view that all sessions share, and tells what happened since when it may: at the end
// of a command or, while it idles, at once. What is sent of a message is read from the
// store as it is sent, of many messages by a goroutine that is a little ahead; while the
// peer does not read nothing of the store is held.
//
// The scripts in testdata are the tests named below; TestConformance runs them here, and
// TestDovecotAgrees runs them on Debian's Dovecot.
//
//	RFC         what                                 state      test
//	3501        IMAP4rev1                            complete¹  base, mailboxes
//	9051        IMAP4rev2                            complete   utf8_rev2_unauthenticate
//	2177        IDLE                                 complete   idle, TestIdleOverTLSAndCompression
//	2342        NAMESPACE                            complete²  mailboxes, acl_shared
//	2595, 8314  STARTTLS, TLS from the first byte    complete   TestSTARTTLS, TestTLSFromTheFirstByte
//	2971        ID                                   complete   id_enable
//	3348        CHILDREN                             complete   mailboxes, list
//	3502        MULTIAPPEND                          complete   uidplus_move
//	3516        BINARY                               complete   binary_catenate_replace
//	3691        UNSELECT                             complete   mailboxes
//	4314        ACL, RIGHTS=ektx                     complete   acl, acl_shared
//	4315        UIDPLUS                              complete   uidplus_move
//	4469        CATENATE                             complete³  binary_catenate_replace
//	4731, 5182  ESEARCH, SEARCHRES                   complete   search
//	4959        SASL-IR                              complete   TestAUTHENTICATE
//	4978        COMPRESS=DEFLATE                     complete   TestIdleOverTLSAndCompression
//	5032        WITHIN                               complete   search
//	5161        ENABLE                               complete   id_enable
//	5256        SORT, THREAD=REFERENCES,
//	            THREAD=ORDEREDSUBJECT                complete   sort_thread, TestReferences
//	5258        LIST-EXTENDED                        complete   list
//	5267        ESORT                                complete⁴  sort_thread
//	5464        METADATA                             complete   metadata
//	5465        NOTIFY                               complete⁵  notify
//	5819, 8440  LIST-STATUS, LIST-MYRIGHTS           complete   list, acl_shared
//	5957        SORT=DISPLAY                         complete   sort_thread
//	6154        SPECIAL-USE, CREATE-SPECIAL-USE      complete   list
//	6851        MOVE                                 complete   uidplus_move
//	6855        UTF8=ACCEPT                          complete   utf8_rev2_unauthenticate
//	7162        CONDSTORE, QRESYNC                   complete   condstore, qresync
//	7888        LITERAL+                             complete   TestLiteralsOverTheLimit
//	7889        APPENDLIMIT                          complete   binary_catenate_replace
//	8437        UNAUTHENTICATE                       complete   utf8_rev2_unauthenticate
//	8438        STATUS=SIZE                          complete   list
//	8474        OBJECTID                             complete   objectid_preview_savedate_partial
//	8508        REPLACE                              complete   binary_catenate_replace
//	8514        SAVEDATE                             complete   objectid_preview_savedate_partial
//	8970        PREVIEW                              complete   objectid_preview_savedate_partial
//	9208        QUOTA (STORAGE, MESSAGE)             complete⁶  quota
//	9394        PARTIAL                              complete   objectid_preview_savedate_partial
//	9585        INPROGRESS                           complete   TestProgressIsTold
//
// ¹ No message is \Recent: RECENT is 0, as RFC 9051 has it.
// ² Mailboxes of other users are below "Other Users/" and the owner's address.
// ³ URLs of this server without access keys (RFC 4467 is not offered).
// ⁴ Without the contexts of RFC 5267, which are another capability.
// ⁵ AnnotationChange, of annotations of messages (RFC 5257), is answered BADEVENT, as the
// RFC provides.
// ⁶ SETQUOTA is refused: quotas are set from the console.
//
// Where Dovecot 2.3 answers otherwise, the scripts have a line for each, marked [m] and
// [d]: it has no REPLACE, OBJECTID, PARTIAL, UTF8=ACCEPT and IMAP4rev2; it does not rename
// INBOX; it gives a special use from its configuration alone; it writes the letters of
// rights in another order and CHILDINFO without quotes; and it takes an ENABLE of nothing.
package imapd
