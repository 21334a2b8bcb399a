import { Button, CopyButton } from '@mantine/core'
import type { DNSRecord } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { useText } from '../text/language'
import { useRecords } from './data'

/** What the DNS must say of the domain, ready to be taken along, and what it says. */
export function Records({ domain }: { domain: string }) {
  const { t, say } = useText()
  const { records, isPending, error, refetch, checking, check } = useRecords(domain)
  const columns: Column<DNSRecord & { id: string }>[] = [
    { head: t('records.purpose'), cell: (r) => <Purpose of={r} /> },
    { head: t('records.type'), cell: (r) => r.type },
    { head: t('records.name'), cell: (r) => <Copied text={r.name} of={`${t('records.name')} ${r.name}`} /> },
    {
      head: t('records.value'),
      wide: true,
      cell: (r) => <Copied text={r.value} of={`${t('records.value')} ${r.name}`} />,
    },
    {
      head: t('records.dns'),
      cell: (r) => (
        <div className="record-state">
          {checking && r.state === 'unchecked' ? (
            <span className="state" data-tone="busy">
              <Glyph name="moving" size={14} />
              {t('records.checking')}
            </span>
          ) : (
            <State of="record" state={r.state} />
          )}
          {r.note && <p className="dim">{say(r.note, r.said)}</p>}
          {r.state === 'different' && r.found.length > 0 && (
            <ul className="dim record-found" aria-label={t('records.found')}>
              {r.found.map((f) => (
                <li key={f}>{f}</li>
              ))}
            </ul>
          )}
        </div>
      ),
    },
  ]
  return (
    <Section
      title={t('records.title')}
      aside={
        <div className="acts">
          {records && records.records.length > 0 && (
            <CopyButton value={records.records.map((r) => r.zone).join('\n')}>
              {({ copied, copy }) => (
                <Button
                  size="xs"
                  variant="default"
                  leftSection={copied && <Glyph name="up" size={14} />}
                  onClick={copy}
                >
                  {t(copied ? 'action.copied' : 'records.zone')}
                </Button>
              )}
            </CopyButton>
          )}
          <Button size="xs" variant="default" loading={checking} onClick={() => check()}>
            {t('records.check')}
          </Button>
        </div>
      }
    >
      {isPending && <Loading rows={4} />}
      {error && <Failure error={error} retry={() => refetch()} />}
      {records?.records.length === 0 && (
        <Empty title={t('records.none')}>
          <p>{t('records.noneText')}</p>
        </Empty>
      )}
      {records && records.records.length > 0 && (
        <Rows
          label={t('records.title')}
          columns={columns}
          rows={records.records.map((r) => ({ ...r, id: `${r.type} ${r.name} ${r.value}` }))}
        />
      )}
      {records?.policy && (
        <details className="record-policy">
          <summary>{t('records.policy', { domain })}</summary>
          <pre className="command">{records.policy}</pre>
        </details>
      )}
    </Section>
  )
}

function Purpose({ of: { purpose, needed } }: { of: DNSRecord }) {
  const { t } = useText()
  return (
    <>
      {t(`records.of.${purpose}`)} {!needed && <small className="dim">{t('records.optional')}</small>}
    </>
  )
}

/** A text as it is to be entered elsewhere, and a button that takes it along. */
function Copied({ text, of }: { text: string; of: string }) {
  const { t } = useText()
  return (
    <span className="copied">
      <code>{text}</code>
      <CopyButton value={text}>
        {({ copied, copy }) => {
          const label = t(copied ? 'action.copied' : 'action.copy')
          return (
            <button type="button" className="copy" title={label} aria-label={`${label}: ${of}`} onClick={copy}>
              <Glyph name={copied ? 'up' : 'copy'} size={14} />
            </button>
          )
        }}
      </CopyButton>
    </span>
  )
}
