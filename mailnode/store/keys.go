package store

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// MailboxID names a mailbox within its account, for ever.
type MailboxID uint32

// Inbox is the mailbox every account has.
const Inbox MailboxID = 1

var (
	formatKey = []byte("mformat")
	idKey     = []byte("mid")
)

const maxAccountID = 64

func checkAccount(id string) error {
	if id == "" || len(id) > maxAccountID || strings.IndexByte(id, 0) >= 0 {
		return fmt.Errorf("store: %q is not an account id", id)
	}
	return nil
}

func logKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'l'}, seq)
}

func logSeq(key []byte) (uint64, bool) {
	if len(key) != 9 || key[0] != 'l' {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// keySize is room for most keys.
const keySize = 96

// accountPrefix opens the keys of an account.
func accountPrefix(account string) []byte {
	k := append(make([]byte, 0, keySize), 'a')
	return append(append(k, account...), 0)
}

func tableKey(account string, table byte) []byte {
	return append(accountPrefix(account), table)
}

func accountKey(account string, table byte, mailbox MailboxID) []byte {
	return binary.BigEndian.AppendUint32(tableKey(account, table), uint32(mailbox))
}

func mailboxKey(account string, mailbox MailboxID) []byte {
	return accountKey(account, 'b', mailbox)
}

// uidKey is the key of a message in one of the tables 'm', 'i' and 'd'.
func uidKey(p Place, table byte, uid uint32) []byte {
	return binary.BigEndian.AppendUint32(accountKey(p.Account, table, p.Mailbox), uid)
}

func emailKey(p Place, id ObjectID, uid uint32) []byte {
	k := append(tableKey(p.Account, 'o'), id[:]...)
	k = binary.BigEndian.AppendUint32(k, uint32(p.Mailbox))
	return binary.BigEndian.AppendUint32(k, uid)
}

func threadKey(account string, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(tableKey(account, 'r'), hash)
}

func tombKey(p Place, modseq uint64) []byte {
	return binary.BigEndian.AppendUint64(accountKey(p.Account, 'x', p.Mailbox), modseq)
}

func subscriptionKey(account, name string) []byte {
	return append(tableKey(account, 's'), name...)
}

func grantKey(p Place, who string) []byte {
	return append(accountKey(p.Account, 'g', p.Mailbox), who...)
}

// shareKey is the place of a grant in the index of those it is for.
func shareKey(p Place, who string) []byte {
	k := append(sharePrefix(who), p.Account...)
	return binary.BigEndian.AppendUint32(append(k, 0), uint32(p.Mailbox))
}

func sharePrefix(who string) []byte {
	k := append(make([]byte, 0, keySize), 'g')
	return append(append(k, who...), 0)
}

func annotationPrefix(at Annotations) []byte {
	k := []byte{'k'}
	if at.Account != "" {
		k = accountKey(at.Account, 'k', at.Mailbox)
	}
	return append(append(k, at.Owner...), 0)
}

// doomedKey marks a mailbox whose messages are being removed; mailbox 0 stands for
// the whole account.
func doomedKey(p Place) []byte {
	k := append(append(make([]byte, 0, keySize), 'z'), p.Account...)
	return binary.BigEndian.AppendUint32(append(k, 0), uint32(p.Mailbox))
}

// unfinishedKey names a step of a copy by the first UID it gave.
func unfinishedKey(p Place, first uint32) []byte {
	k := append(append(make([]byte, 0, keySize), 'u'), p.Account...)
	k = binary.BigEndian.AppendUint32(append(k, 0), uint32(p.Mailbox))
	return binary.BigEndian.AppendUint32(k, first)
}

func bodyKey(body BodyID, table byte) []byte {
	k := make([]byte, 0, 1+len(body)+1+4)
	k = append(k, 'b')
	k = append(k, body[:]...)
	return append(k, table)
}

func chunkKey(body BodyID, n int) []byte {
	return binary.BigEndian.AppendUint32(bodyKey(body, 'c'), uint32(n))
}

func sumKey(sum [32]byte) []byte {
	return append(append(make([]byte, 0, 1+len(sum)), 'h'), sum[:]...)
}

// rowKey is a key of another room's table, heldKey that of a body it holds.
func rowKey(t Table, key []byte) []byte { return spaceKey('t', t, key) }

func heldKey(t Table, key []byte) []byte { return spaceKey('y', t, key) }

func spaceKey(space byte, t Table, key []byte) []byte {
	k := append(append(make([]byte, 0, keySize), space), t.name...)
	return append(append(k, 0), key...)
}

// after is the first key behind all keys that begin with prefix; nil, the end, when
// there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
