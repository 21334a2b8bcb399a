import { address, api, ProblemError, problemOf } from '../api/client'
import type { Release } from '../api/types'

// A program and its signature on their way to the controller.

/** What `release sign` writes beside a program: what the signature is of, and the signature. */
export type Signed = Pick<Release, 'program' | 'number' | 'platform' | 'size' | 'sha256' | 'key' | 'signature'>

const words = ['program', 'number', 'platform', 'sha256', 'key', 'signature'] as const

/** No signature is longer, in octets. */
const longest = 16 << 10

/** Reads a signature's file; undefined when it is none. */
export async function readSigned(file: File): Promise<Signed | undefined> {
  if (file.size > longest) return undefined
  try {
    const read = JSON.parse(await file.text())
    return words.every((w) => typeof read[w] === 'string') && Number.isInteger(read.size) ? read : undefined
  } catch {
    return undefined
  }
}

/** Sends a program with its signature; fetch cannot tell how far a body has gone. */
export function publish(signed: Signed, file: File, onProgress: (sent: number) => void): Promise<Release> {
  return new Promise((done, failed) => {
    const ask = new XMLHttpRequest()
    const { program, number, platform, size, sha256, key, signature } = signed
    ask.open('POST', address('/releases', { program, number, platform, size, sha256, key, signature }))
    ask.setRequestHeader('Content-Type', 'application/octet-stream')
    if (api.csrf) ask.setRequestHeader('X-CSRF-Token', api.csrf)
    ask.upload.onprogress = (e) => onProgress(e.loaded)
    ask.onerror = () => failed(new ProblemError({ status: 0 }))
    ask.onload = () => {
      if (ask.status < 300) return done(JSON.parse(ask.responseText))
      failed(problemOf(ask.status, ask.responseText, ask.getResponseHeader('X-Request-Id')))
    }
    ask.send(file)
  })
}
