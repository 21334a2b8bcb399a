// Reads a mailbox with imapflow, both ways: every byte of every message goes
// into the digest that is printed; then it flags, adds, moves and deletes.
import { createHash } from 'node:crypto'
import { ImapFlow } from 'imapflow'

const [host, port, user, pass, count] = process.argv.slice(2)
const client = new ImapFlow({ host, port: Number(port), secure: false, doSTARTTLS: false, auth: { user, pass }, logger: false })
await client.connect()
const lock = await client.getMailboxLock('INBOX')
if (client.mailbox.exists !== Number(count)) throw new Error(`there are ${client.mailbox.exists} messages`)

const digest = createHash('sha256')
let next = 1
for await (const m of client.fetch('1:*', { source: true, envelope: true, bodyStructure: true, flags: true, uid: true })) {
  if (m.seq !== next++) throw new Error(`message ${m.seq} came after ${next - 2}`)
  digest.update(m.source)
}
await client.messageFlagsAdd('1', ['\\Flagged', '$label'])
await client.messageFlagsAdd('2', ['\\Seen'])
await client.append('INBOX', 'Subject: 天气\r\nMessage-ID: <added@example.test>\r\n\r\nadded\r\n', ['\\Seen'], new Date(1700000000000))
await client.mailboxCreate('存档')
await client.messageMove('3', '存档')
await client.messageDelete('3') // what was the fourth
const found = await client.search({ header: { 'message-id': '<added@example.test>' } }, { uid: true })
if (found.length !== 1) throw new Error(`found ${found}`)
lock.release()
const status = await client.status('存档', { messages: true })
if (status.messages !== 1) throw new Error(`the archive has ${status.messages}`)
await client.logout()
console.log(digest.digest('hex'))
