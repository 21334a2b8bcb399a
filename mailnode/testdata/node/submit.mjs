// Submits mail by nodemailer, as tests of smtpd ask on the command line: to a port with
// STARTTLS and to one with TLS from the first byte, alone and over pooled connections,
// with attachments and DSN options. Prints how many connections the pool made.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { createTransport } from 'nodemailer';

const [submission, submissions, user, pass] = process.argv.slice(2);

/** A transport to an address. */
function transport(address, secure, more = {}) {
  const at = address.lastIndexOf(':');
  return createTransport({
    host: address.slice(0, at), port: Number(address.slice(at + 1)), secure, requireTLS: !secure,
    auth: { user, pass }, tls: { rejectUnauthorized: false }, ...more,
  });
}

for (const method of ['PLAIN', 'LOGIN']) {
  for (const [address, secure] of [[submission, false], [submissions, true]]) {
    const one = transport(address, secure, { authMethod: method });
    await one.verify();
    const sent = await one.sendMail({
      from: user, to: ['a@elsewhere.test', 'b@elsewhere.test'], bcc: 'c@elsewhere.test',
      subject: `附件 ${method}`, text: '天气\n.\n..\n', html: '<p>天气</p>',
      attachments: [
        { filename: '报告.bin', content: Buffer.alloc(300_000, 0xa5) },
        { filename: 'note.txt', content: 'note' },
      ],
      dsn: { id: 'node+mailer', return: 'headers', notify: ['success', 'failure'], recipient: user },
    });
    assert.deepEqual(sent.accepted, ['a@elsewhere.test', 'b@elsewhere.test', 'c@elsewhere.test']);
    assert.match(sent.response, /^250 2\./);
  }
}

await assert.rejects(transport(submission, false, { auth: { user, pass: 'wrong' } }).verify(), { responseCode: 535 });
await assert.rejects(transport(submission, false, { auth: undefined }).sendMail({ from: user, to: 'a@elsewhere.test' }), { responseCode: 530 });
await assert.rejects(transport(submission, false).sendMail({ from: 'other@example.test', to: 'a@elsewhere.test' }), { responseCode: 553 });

let connections = 0;
const pool = transport(submission, false, {
  pool: true, maxConnections: 3, maxMessages: 100,
  getSocket(options, done) {
    connections++;
    const socket = connect({ host: options.host, port: options.port }, () => done(null, { connection: socket }));
    socket.once('error', done);
  },
});
await Promise.all(Array.from({ length: 30 }, (_, i) => pool.sendMail({
  from: user, to: `pool${i}@elsewhere.test`, subject: `pool ${i}`, text: 'x'.repeat(i * 1000),
})));
pool.close();
console.log(connections);
