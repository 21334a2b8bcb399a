import { NativeSelect } from '@mantine/core'
import type { OperationKind } from '../api/types'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { useText } from '../text/language'
import { useReleases } from './data'

/** Which release is to run; only signed ones that were put up can. */
export function ReleaseField({ kind, field }: { kind: OperationKind; field: object }) {
  const { t, format } = useText()
  const releases = useReleases(kind)
  if (releases.isPending) return <Loading rows={1} />
  if (releases.error) return <Failure error={releases.error} retry={() => releases.refetch()} />
  if (releases.data.length === 0)
    return (
      <Empty title={t('operate.noRelease')}>
        <p>{t('operate.noReleaseText')}</p>
      </Empty>
    )
  return (
    <NativeSelect
      label={t('operate.release')}
      required
      data={[
        { value: '', label: t('operate.choose') },
        ...releases.data.map((r) => ({
          value: r.id,
          label: `${r.program} ${r.number} · ${r.platform} · ${format.time(Date.parse(r.created))}`,
        })),
      ]}
      {...field}
    />
  )
}
