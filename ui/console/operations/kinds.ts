import type { OperationKind, OperationState, Step } from '../api/types'

// What the console knows of the kinds of operation. The API decides; this
// only chooses what is asked before.

export const kinds: OperationKind[] = [
  'server.add',
  'server.remove',
  'server.reboot',
  'server.shutdown',
  'server.poweron',
  'server.powercycle',
  'server.preflight',
  'server.tune',
  'service.start',
  'service.stop',
  'service.restart',
  'service.reload',
  'service.drain',
  'service.undrain',
  'service.upgrade',
  'agent.upgrade',
  'config.apply',
  'queue.hold',
  'queue.release',
  'queue.retry',
  'queue.reroute',
  'queue.delete',
  'queue.export',
]

/** Kinds that need nothing but targets, as they are offered over a selection. */
export const serviceActs = [
  'service.start',
  'service.stop',
  'service.restart',
  'service.reload',
  'service.drain',
  'service.undrain',
] as const satisfies OperationKind[]

export const serverActs = [
  'server.preflight',
  'server.poweron',
  'server.reboot',
  'server.shutdown',
  'server.powercycle',
  'server.remove',
] as const satisfies OperationKind[]

export const queueActs = [
  'queue.hold',
  'queue.release',
  'queue.retry',
  'queue.reroute',
  'queue.export',
  'queue.delete',
] as const satisfies OperationKind[]

/** Whether it is done to queued mail, of which the count is shown first. */
export const onQueue = (k: OperationKind) => k.startsWith('queue.')

const destructive: OperationKind[] = ['server.remove', 'server.reboot', 'server.shutdown', 'server.powercycle']
const interrupting: OperationKind[] = ['service.stop', 'service.restart', 'service.upgrade', 'config.apply']

/** Whether it takes a running service away, for a while or for good. */
export const interrupts = (k: OperationKind) => interrupting.includes(k) || destructive.includes(k)

/** Whether its button has the colour of what destroys. */
export const dangerous = (k: OperationKind) => destructive.includes(k) || k === 'service.stop' || k === 'queue.delete'

export const needsRelease = (k: OperationKind) => k === 'service.upgrade' || k === 'agent.upgrade'

/** Whether what it is about is downloaded, once. */
export const handsOut = (k: OperationKind) => k === 'queue.export'

/** Whether nothing can change the state any more; an unknown outcome may still be told. */
export const final = (s: OperationState) => ['succeeded', 'failed', 'expired', 'cancelled'].includes(s)

/** How far steps have come. */
export function progress(steps: Step[]) {
  const asked = steps.filter((s) => !s.undo)
  return {
    all: asked.length,
    done: asked.filter((s) => final(s.state) && s.state !== 'cancelled').length,
    failed: asked.filter((s) => s.state === 'failed' || s.state === 'expired').length,
  }
}
