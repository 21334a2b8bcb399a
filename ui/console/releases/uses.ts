import type { Release, Server, Service } from '../api/types'

/** The program that every server runs besides its services. */
export const agentProgram = 'mailfleet-agent'

export interface Use {
  server: Server
  /** Absent: it is the server's agent. */
  service?: Service
}

/** What runs a release, or is to run it at its next start. */
export function usesOf(release: Release, servers: Server[]): Use[] {
  const present = servers.filter((s) => s.state !== 'removed')
  if (release.program === agentProgram)
    return present.filter((s) => s.agent_version === release.number).map((server) => ({ server }))
  return present.flatMap((server) =>
    server.services.filter((v) => v.release === release.id).map((service) => ({ server, service })),
  )
}
