import type { AuditEntry } from '../api/types'
import { useText } from '../text/language'
import { changes } from './changes'

/** What an act changed, and what proves it; folded up until it is asked for. */
export function Details({ entry }: { entry: AuditEntry }) {
  const { t } = useText()
  const changed = changes(entry.before, entry.after)
  return (
    <details className="audit-details">
      <summary>{entry.reason || t('audit.show')}</summary>
      {changed.length > 0 && (
        <table className="audit-changes">
          <thead>
            <tr>
              <th scope="col">{t('audit.field')}</th>
              <th scope="col">{t('audit.before')}</th>
              <th scope="col">{t('audit.after')}</th>
            </tr>
          </thead>
          <tbody>
            {changed.map((c) => (
              <tr key={c.field}>
                <th scope="row">{c.field || '—'}</th>
                <td>{c.before && <del>{c.before}</del>}</td>
                <td>{c.after && <ins>{c.after}</ins>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <dl>
        {entry.scope && entry.scope.length > 0 && (
          <>
            <dt>{t('audit.scope')}</dt>
            <dd>
              <code>{entry.scope.join(' ')}</code>
            </dd>
          </>
        )}
        {entry.request_id && (
          <>
            <dt>{t('error.request')}</dt>
            <dd>
              <code>{entry.request_id}</code>
            </dd>
          </>
        )}
        <dt>{t('audit.hash')}</dt>
        <dd>
          <code>{entry.hash}</code>
        </dd>
      </dl>
    </details>
  )
}
