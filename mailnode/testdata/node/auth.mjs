// Verifies and signs messages with mailauth, as tests of origin ask on standard input:
// one JSON array of {verify: {...}} and {sign: {...}}. Answers with an array as long.
import { promises as dns } from 'node:dns';
import { text } from 'node:stream/consumers';
import { authenticate } from 'mailauth';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';

const { server, asks } = JSON.parse(await text(process.stdin));
const resolver = new dns.Resolver({ timeout: 2000, tries: 1 });
resolver.setServers([server]);
const resolve = (name, type) => resolver.resolve(name, type);

async function answer(ask) {
  const message = Buffer.from(ask.message, 'base64');
  if (ask.keys) {
    const out = await dkimSign(message, {
      canonicalization: ask.canonicalization,
      signTime: new Date(),
      signatureData: ask.keys,
    });
    if (out.errors.length) throw out.errors[0].err ?? new Error(JSON.stringify(out.errors));
    return { signatures: out.signatures };
  }
  const got = await authenticate(message, {
    ip: ask.ip, helo: ask.helo, sender: ask.sender, mta: 'mx.example.test',
    resolver: resolve, disableArc: !ask.arc, disableBimi: true, seal: ask.seal,
  });
  return {
    headers: got.headers,
    arc: got.arc?.status?.result ?? 'none',
    spf: got.spf?.status?.result ?? 'none',
    dkim: got.dkim.results.map((r) => ({ domain: r.signingDomain, selector: r.selector, result: r.status.result })),
    dmarc: got.dmarc ? got.dmarc.status?.result : 'none',
    policy: got.dmarc?.policy ?? '',
  };
}

const answers = [];
for (const ask of asks) answers.push(await answer(ask));
process.stdout.write(JSON.stringify(answers));
