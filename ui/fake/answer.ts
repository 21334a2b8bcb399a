/** What a fake route answers. */
export interface Answer {
  status: number
  body?: unknown
}

export const ok = (body: unknown): Answer => ({ status: 200, body })

export function refuse(status: number, detail: string, errors?: { message: string; location: string }[]): Answer {
  return { status, body: { title: '', status, detail, code: '', request_id: crypto.randomUUID(), errors } }
}

export const complain = (field: string, message: string) =>
  refuse(422, message, [{ message, location: `body.${field}` }])
