export interface Answer {
  status: number
  body?: unknown
  /** Sent as server-sent events instead of a body; the answer stays open after them. */
  events?: { event: string; data: unknown }[]
}

export const ok = (body: unknown): Answer => ({ status: 200, body })

export function refuse(status: number, detail: string, errors?: { message: string; location: string }[]): Answer {
  return { status, body: { title: '', status, detail, code: '', request_id: crypto.randomUUID(), errors } }
}

export const complain = (field: string, message: string) =>
  refuse(422, message, [{ message, location: `body.${field}` }])

/** The text of an answer's events. */
export const streamed = (events: NonNullable<Answer['events']>) =>
  events.map((e) => `event: ${e.event}\ndata: ${JSON.stringify(e.data)}\n\n`).join('')
