// Verifies a signed request, as tests of hook give it on standard input, with the
// library of the Standard Webhooks project; prints the type of its payload.
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

const { secret, body, headers } = JSON.parse(await text(process.stdin));
process.stdout.write(new Webhook(secret).verify(body, headers).type);
