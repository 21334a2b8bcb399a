import { Button, Switch } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { Contact, Rule } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { useTell } from '../parts/Toasts'
import { seconds } from '../text/format'
import { useText } from '../text/language'
import { unitOf, useMetricName, write } from '../text/metrics'
import { RuleDialog } from './RuleDialog'
import { request } from './request'

/** The thresholds that are watched, and who is told. */
export default function Rules() {
  const { t } = useText()
  const list = useList<Rule>('rules')
  const mayChange = useMay('rules', 'write')
  const [editing, setEditing] = useState<Rule | 'new'>()
  const [deleting, setDeleting] = useState<Rule>()
  const columns = useColumns(mayChange, setEditing, setDeleting)
  const add = mayChange && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setEditing('new')}>
      {t('rules.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.rules')} aside={add}>
      <DataTable
        label={t('nav.rules')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('rules.none')}>
            <p>{t('rules.noneText')}</p>
            {add}
          </Empty>
        }
      />
      {editing && <RuleDialog rule={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />}
      {deleting && (
        <Delete
          noun="rules"
          thing={deleting}
          title={t('rules.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('rules.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function useColumns(mayChange: boolean, onEdit: (r: Rule) => void, onDelete: (r: Rule) => void): Column<Rule>[] {
  const { t, format } = useText()
  const metricName = useMetricName()
  const contacts = useList<Contact>('contacts').data?.pages.flatMap((p) => p.items) ?? []
  const contactName = (id: string) => contacts.find((c) => c.id === id)?.name ?? id.slice(0, 8)
  return [
    { head: t('rules.name'), cell: (r) => <b>{r.name}</b> },
    {
      head: t('rules.condition'),
      wide: true,
      cell: (r) => (
        <span className="figures">
          {metricName(r.metric)} {r.comparison} {write(format, unitOf(r.metric), r.value)}
          {seconds(r.for) > 0 && (
            <span className="dim"> · {t('rules.lasting', { time: format.duration(seconds(r.for)) })}</span>
          )}
        </span>
      ),
    },
    { head: t('rules.severity'), cell: (r) => <State of="severity" state={r.severity} /> },
    { head: t('rules.servers'), cell: (r) => r.servers?.join(', ') || t('rules.all') },
    { head: t('rules.recipients'), cell: (r) => r.recipients?.map(contactName).join(', ') || t('rules.all') },
    { head: t('rules.enabled'), cell: (r) => <Enabled rule={r} mayChange={mayChange} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (r) =>
        mayChange && (
          <div className="acts">
            <Act label={t('action.edit')} of={r.name} onClick={() => onEdit(r)} />
            <Act label={t('action.delete')} of={r.name} onClick={() => onDelete(r)} />
          </div>
        ),
    },
  ]
}

function Enabled({ rule, mayChange }: { rule: Rule; mayChange: boolean }) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const put = useMutation({
    mutationFn: (enabled: boolean) =>
      api.change('PUT', `/rules/${rule.id}`, { body: { ...request(rule), enabled }, headers: ifMatch(rule) }),
    onSuccess: () => reread('rules'),
    onError: tell.failed,
  })
  return (
    <Switch
      size="sm"
      checked={put.isPending ? put.variables : rule.enabled}
      disabled={!mayChange || put.isPending}
      onChange={(e) => put.mutate(e.currentTarget.checked)}
      label={t(rule.enabled ? 'rules.on' : 'rules.off')}
      aria-label={`${rule.name}: ${t('rules.enabled')}`}
    />
  )
}
