package store

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// MailboxID names a mailbox within its account.
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

func accountKey(account string, table byte, mailbox MailboxID) []byte {
	k := make([]byte, 0, 1+len(account)+2+4+4)
	k = append(k, 'a')
	k = append(k, account...)
	k = append(k, 0, table)
	return binary.BigEndian.AppendUint32(k, uint32(mailbox))
}

func mailboxKey(account string, mailbox MailboxID) []byte {
	return accountKey(account, 'b', mailbox)
}

func messageKey(account string, mailbox MailboxID, uid uint32) []byte {
	return binary.BigEndian.AppendUint32(accountKey(account, 'm', mailbox), uid)
}

func bodyKey(body ObjectID, table byte) []byte {
	k := make([]byte, 0, 1+len(body)+1+4)
	k = append(k, 'b')
	k = append(k, body[:]...)
	return append(k, table)
}

func chunkKey(body ObjectID, n int) []byte {
	return binary.BigEndian.AppendUint32(bodyKey(body, 'c'), uint32(n))
}

func refKey(body ObjectID, account string, mailbox MailboxID, uid uint32) []byte {
	k := append(bodyKey(body, 'r'), account...)
	k = append(k, 0)
	k = binary.BigEndian.AppendUint32(k, uint32(mailbox))
	return binary.BigEndian.AppendUint32(k, uid)
}

// after is the first key behind all keys that begin with prefix, whose last byte
// is never 0xff here.
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
